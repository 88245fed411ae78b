import { describe, expect, it } from 'vitest';
import { readAuthorizationResponse } from '../../../../daemon/loopback/authorization-response.ts';

describe('the shape of an authorization response', () => {
  it('reads an answer with a code, and one with an error', () => {
    expect(readAuthorizationResponse('code=c&state=s&iss=https%3A%2F%2Fi.example')).toMatchObject({ state: 's', iss: 'https://i.example' });
    expect(readAuthorizationResponse('error=access_denied&error_description=no&state=s')).toMatchObject({ state: 's', iss: null });
  });

  it.each([
    '', 'code=c', 'state=s', 'code=c&state=', 'code=&state=s', 'error=&state=s',
    'code=c&error=access_denied&state=s', 'code=c&error=&state=s',
    'code=c&code=d&state=s', 'code=c&state=s&state=s', 'code=c&state=s&iss=a&iss=a', 'code=c&state=s&x=1&x=1', 'code=c&state=s&c%6fde=d',
    'access_token=t&state=s', 'response=jwt&state=s', 'code=c;state=s',
  ])('refuses %j', (query) => {
    expect(readAuthorizationResponse(query)).toBeNull();
  });
});
