/**
 * Reads the first form of a page and fills it in as a person who signs in would. It knows forms, not pages:
 * any server's sign-in will do whose field for the name is recognisable and whose buttons say what they do.
 */
export type Answers = { readonly login: string; readonly deny: boolean; readonly userCode: string | null };

export type FilledForm = { readonly action: URL; readonly method: 'GET' | 'POST'; readonly fields: URLSearchParams };

type Tag = { readonly name: string; readonly attributes: ReadonlyMap<string, string>; readonly start: number; readonly end: number };

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal?: string, hex?: string, name?: string) => {
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    return ENTITIES[name ?? ''] ?? whole;
  });
}

function readTags(html: string): readonly Tag[] {
  const visible = html.replace(/<!--[\s\S]*?-->|<(script|style)\b[\s\S]*?<\/\1>/gi, (cut) => ' '.repeat(cut.length));
  return [...visible.matchAll(/<(\/?[a-z][a-z0-9]*)((?:\s+[^\s=>/]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?)*)\s*\/?>/gi)].map((match) => {
    const attributes = [...(match[2] ?? '').matchAll(/([^\s=>/]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g)];
    return {
      name: (match[1] ?? '').toLowerCase(),
      attributes: new Map(attributes.map(([, name = '', double, single, bare]) => [name.toLowerCase(), decodeEntities(double ?? single ?? bare ?? '')])),
      start: match.index,
      end: match.index + match[0].length,
    };
  });
}

const REFUSAL = /\b(deny|denied|refuse|abort|cancel|reject|no)\b/i;
const NAME_FIELD = /^(login|user(name)?|email|account|identifier)$/i;

export function fillForm(html: string, pageUrl: URL, answers: Answers): FilledForm | null {
  const tags = readTags(html);
  const form = tags.find((tag) => tag.name === 'form');
  if (form === undefined) return null;
  const close = tags.find((tag) => tag.name === '/form' && tag.start > form.start)?.start ?? html.length;
  const id = form.attributes.get('id');
  const controls = tags.filter((tag) => {
    const owner = tag.attributes.get('form');
    return owner === undefined ? tag.start > form.start && tag.start < close : owner === id;
  });

  const fields = new URLSearchParams();
  for (const { name: tagName, attributes } of controls) {
    const name = attributes.get('name');
    const type = attributes.get('type')?.toLowerCase() ?? 'text';
    if (tagName !== 'input' || name === undefined || ['submit', 'button', 'image', 'reset'].includes(type)) continue;
    if ((type === 'checkbox' || type === 'radio') && !attributes.has('checked')) continue;
    const given = attributes.get('value') ?? (type === 'checkbox' ? 'on' : '');
    if (type !== 'hidden' && name === 'user_code' && answers.userCode !== null) fields.append(name, answers.userCode);
    else if (type !== 'hidden' && type !== 'password' && NAME_FIELD.test(name)) fields.append(name, answers.login);
    else fields.append(name, given);
  }

  const buttons = controls.filter(({ name, attributes }) => {
    const type = attributes.get('type')?.toLowerCase();
    return (name === 'button' && (type ?? 'submit') === 'submit') || (name === 'input' && type === 'submit');
  });
  const label = (button: Tag): string => {
    const until = tags.find((tag) => tag.name === '/button' && tag.start >= button.end)?.start ?? button.end;
    return `${button.attributes.get('name') ?? ''} ${button.attributes.get('value') ?? ''} ${html.slice(button.end, until)}`;
  };
  const refusal = buttons.find((button) => REFUSAL.test(label(button)));
  const pressed = answers.deny && refusal !== undefined ? refusal : buttons.find((button) => button !== refusal);
  const pressedName = pressed?.attributes.get('name');
  if (pressedName !== undefined) fields.append(pressedName, pressed?.attributes.get('value') ?? '');

  return {
    action: new URL(form.attributes.get('action') || pageUrl.href, pageUrl),
    method: form.attributes.get('method')?.toLowerCase() === 'post' ? 'POST' : 'GET',
    fields,
  };
}
