/**
 * How many answers Node's loop is to bring that a message waits for, such as those of DNS. While there are any, the
 * thread does not linger away from the loop (see `UdpPoller`).
 */
export const awaitedAnswers: { count: number } = { count: 0 };
