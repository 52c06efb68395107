import type { Operation } from '../state/context.js';
import type { ClusterRecord } from '../state/records.js';
import { clusterView } from '../state/views.js';
import { type FilterRows, filtered, isIn } from './finding.js';

const STANDARD_PAGE = 25;

const filters: FilterRows<ClusterRecord> = {
  clusterIds: ({ id }) => [id],
  vpcIds: ({ vpcId }) => [vpcId],
  states: ({ state }) => [state],
};

/** Ids that nobody has are no error: the list is empty. */
export const describeClusters: Operation<'DescribeClusters'> = async (input, caller, context) => {
  const { catalogue, pages, time } = context;
  const { Filters, MaxResults: maxResults = STANDARD_PAGE, NextToken: token } = input;
  const own = catalogue.all('cluster').filter((cluster) => isIn(caller, cluster));
  const { items, nextToken } = pages.page({
    query: ['DescribeClusters', caller.account, caller.region, Filters ?? {}],
    items: filtered(own, Filters, filters),
    positionOf: ({ createdMs, id }) => [createdMs, id],
    maxResults,
    token,
  });
  const nowMs = time.nowMs();
  return { Clusters: items.map((cluster) => clusterView(cluster, nowMs)), NextToken: nextToken };
};
