/** Header of an answer that is an API's, passed on by POST /v1/fetch. The daemon's own answers never have it. */
export const ANSWERED_BY = 'valetkey-answered-by';
