/** Times and counts for people. All times are seconds since 1970-01-01 UTC. */

/** `42 s`, `17 min`, `3 h 20 min`, `5 d`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 5_400) return `${Math.round(s / 60)} min`;
  if (s < 172_800) {
    const minutes = Math.round(s / 60);
    return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }
  return `${Math.round(s / 86_400)} d`;
}

/** `for 17 min`, or `expired 3 h ago`. */
export function remaining(until: number, now: number): string {
  return until > now ? `for ${duration(until - now)}` : `expired ${duration(now - until)} ago`;
}

export function ago(then: number, now: number): string {
  return then >= now ? 'just now' : `${duration(now - then)} ago`;
}

/** `4:05`, for a countdown. */
export function clock(seconds: number): string {
  const s = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}

/** `1 profile`, `2 profiles`. */
export function count(n: number, word: string): string {
  return `${n} ${word}${n === 1 ? '' : 's'}`;
}
