import type { Operation } from '../state/context.js';
import { changeTags, withTags } from './tagging.js';

export const tagResource: Operation<'TagResource'> = (input, caller, { catalogue }) =>
  catalogue.transaction((tx) => {
    changeTags(tx, caller, input.ResourceId, (tags) => withTags(tags, input.TagList));
    return {};
  });
