import type { Operation } from '../state/context.js';
import { changeTags } from './tagging.js';

export const untagResource: Operation<'UntagResource'> = (input, caller, { catalogue }) =>
  catalogue.transaction((tx) => {
    const gone = new Set(input.TagKeyList);
    changeTags(tx, caller, input.ResourceId, (tags) => tags.filter(({ key }) => !gone.has(key)));
    return {};
  });
