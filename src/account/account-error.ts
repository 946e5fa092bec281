import { CloudsipError } from '../error.ts';

/** Something about accounts that the person at the keyboard can put right. */
export class AccountError extends CloudsipError {}
