import type { Operation } from '../state/context.js';
import { tagsView } from '../state/views.js';
import { findBackup, findCluster } from './finding.js';

const STANDARD_PAGE = 100;

export const listTags: Operation<'ListTags'> = async (input, caller, { catalogue, pages }) => {
  const { ResourceId: id, MaxResults: maxResults = STANDARD_PAGE, NextToken: token } = input;
  const { tags } = id.startsWith('cluster-')
    ? findCluster(catalogue, caller, id)
    : findBackup(catalogue, caller, id);
  const { items, nextToken } = pages.page({
    query: ['ListTags', caller.account, caller.region, id],
    items: tags,
    positionOf: ({ ordinal }) => [ordinal, ''],
    maxResults,
    token,
  });
  return { TagList: tagsView(items), NextToken: nextToken };
};
