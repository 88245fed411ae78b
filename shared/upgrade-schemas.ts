/** How one daemon follows another: asked for by POST /v1/upgrade, shown in GET /v1/status. */
import * as v from 'valibot';

/** `take_over`: the program that the service recorded goes on in this one's place; `exit`: whoever asks next starts the new one. */
export const upgradeReply = v.object({ how: v.picklist(['take_over', 'exit']), pid: v.nullable(v.number()), program: v.nullable(v.string()) });
export type UpgradeReply = v.InferOutput<typeof upgradeReply>;

/** The other one waits for its turn, or the last try failed, and why; null: nobody asked for it. */
export const upgradeView = v.nullable(v.object({ state: v.picklist(['waiting', 'failed']), detail: v.string() }));
export type UpgradeView = v.InferOutput<typeof upgradeView>;
