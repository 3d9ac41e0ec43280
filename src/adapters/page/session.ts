/**
 * Who may look at the web page: whoever knows its token, and then a browser that has a cookie. Nothing
 * is kept about a session; its cookie is signed, and every operator believes it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

const SESSION_SECONDS = 7 * 24 * 3600;
const COOKIE = 'pgswarm-page';

export class Sessions {
  readonly #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  isToken(given: string): boolean {
    return isEqual(this.#sign(`token ${given}`), this.#sign(`token ${this.#token}`));
  }

  /** A `set-cookie` header. */
  begin(nowMs: number, isEncrypted: boolean): string {
    const ends = String(Math.floor(nowMs / 1000) + SESSION_SECONDS);
    const value = `${ends}.${this.#sign(`session ${ends}`)}`;
    const secure = isEncrypted ? '; Secure' : '';
    return `${COOKIE}=${value}; Path=/; Max-Age=${SESSION_SECONDS}; HttpOnly; SameSite=Strict${secure}`;
  }

  /** `cookies`: the header of that name. */
  isOpen(cookies: string | undefined, nowMs: number): boolean {
    return (cookies ?? '').split(';').some((each) => {
      const [, ends = '', signature = ''] = SESSION.exec(each.trim()) ?? [];
      return isEqual(signature, this.#sign(`session ${ends}`)) && Number(ends) * 1000 > nowMs;
    });
  }

  #sign(text: string): string {
    return createHmac('sha256', this.#token).update(text).digest('hex');
  }
}

const SESSION = new RegExp(`^${COOKIE}=(\\d{1,12})\\.([0-9a-f]{64})$`);

/** In constant time. */
const isEqual = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
