/** The scripted browser fills in forms that others wrote. */
import { describe, expect, it } from 'vitest';
import { fillForm } from '../../../demo/html-form.ts';

const pageUrl = new URL('http://127.0.0.1:4000/interaction/abc?x=1');
const ada = { login: 'ada', deny: false, userCode: null };

function filled(html: string, answers: Parameters<typeof fillForm>[2] = ada): readonly [string, string, string] | null {
  const form = fillForm(html, pageUrl, answers);
  return form === null ? null : [form.method, form.action.href, form.fields.toString()];
}

describe('html form', () => {
  it('finds none where there is none, also in comments and scripts', () => {
    expect(filled('<h1>Done</h1><!-- <form><input name=a></form> --><script>"<form>"</script>')).toBeNull();
  });

  it('types the name, keeps what is hidden, decodes entities and posts to the page itself', () => {
    expect(filled('<form method=post><input type="hidden" name="xsrf" value="a&amp;b&#39;c"><input name=username required><input type=password name=password><button name="go" value="yes">Sign in</button></form>'))
      .toEqual(['POST', pageUrl.href, 'xsrf=a%26b%27c&username=ada&password=&go=yes']);
  });

  it('presses the first button that is no refusal, or the refusal where told to', () => {
    const html = '<form method="post" action="/consent"><button name="action" value="deny">No</button><button name="action" value="allow">Allow</button></form>';
    expect(filled(html)).toEqual(['POST', 'http://127.0.0.1:4000/consent', 'action=allow']);
    expect(filled(html, { ...ada, deny: true })).toEqual(['POST', 'http://127.0.0.1:4000/consent', 'action=deny']);
  });

  it('knows buttons that stand outside of the form and name it', () => {
    const html = '<form id="f" method="post"><input type=hidden name=confirm value=yes></form><button form="f">Continue</button><button form="f" name="abort" value="yes">Refuse</button>';
    expect(filled(html)?.[2]).toBe('confirm=yes');
    expect(filled(html, { ...ada, deny: true })?.[2]).toBe('confirm=yes&abort=yes');
  });

  it('types a device code where one is asked for', () => {
    const html = '<form method="post"><input type="text" name="user_code"></input></form>';
    expect(filled(html, { ...ada, userCode: 'ABCD-EFGH' })?.[2]).toBe('user_code=ABCD-EFGH');
  });

  it('leaves unticked boxes and other buttons out, and uses GET where no method is given', () => {
    expect(filled('<form action="/s"><input type=checkbox name=a checked><input type=checkbox name=b><input type=submit name=c value="Go"><input type=button name=d></form>'))
      .toEqual(['GET', 'http://127.0.0.1:4000/s', 'a=on&c=Go']);
  });
});
