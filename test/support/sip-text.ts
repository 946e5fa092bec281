export interface RequestText {
  readonly method?: string;
  readonly uri?: string;
  readonly via?: string;
  readonly branch?: string;
  readonly from?: string;
  readonly to?: string;
  readonly callId?: string;
  readonly cseq?: number;
  readonly contact?: string | undefined;
  readonly maxForwards?: number;
  /** Header lines without CRLF. */
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly contentType?: string;
}

/** A request as a phone would write it. */
export function requestText(options: RequestText = {}): string {
  const {
    method = 'INVITE',
    uri = 'sip:bob@example.com',
    via = '198.51.100.10:5060',
    branch = 'z9hG4bKtest1',
    from = '<sip:carol@elsewhere.example>;tag=caller',
    to = '<sip:bob@example.com>',
    callId = 'call-1@test',
    cseq = 1,
    contact = '<sip:carol@198.51.100.10:5060>',
    maxForwards = 70,
    headers = [],
    body = '',
    contentType = 'application/sdp',
  } = options;
  return [
    `${method} ${uri} SIP/2.0`,
    `Via: SIP/2.0/UDP ${via};rport;branch=${branch}`,
    `Max-Forwards: ${maxForwards}`,
    `From: ${from}`,
    `To: ${to}`,
    `Call-ID: ${callId}`,
    `CSeq: ${cseq} ${method}`,
    ...(contact === undefined ? [] : [`Contact: ${contact}`]),
    ...headers,
    ...(body === '' ? [] : [`Content-Type: ${contentType}`]),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

export interface ResponseText {
  readonly status: number;
  readonly reason?: string;
  readonly toTag?: string;
  readonly contact?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly contentType?: string;
}

/** The response that a phone gives to a request that it received: Via, Record-Route, From, To, Call-ID, CSeq copied. */
export function responseText(request: string, options: ResponseText): string {
  const { status, reason = 'Reason', toTag = 'callee', contact, headers = [], body = '' } = options;
  const { contentType = 'application/sdp' } = options;
  const copied = request
    .slice(0, request.indexOf('\r\n\r\n'))
    .split('\r\n')
    .slice(1)
    .filter((line) => /^(Via|Record-Route|From|To|Call-ID|CSeq):/i.test(line))
    .map((line) =>
      /^To:/i.test(line) && status > 100 && !line.includes(';tag=') ? `${line};tag=${toTag}` : line,
    );
  return [
    `SIP/2.0 ${status} ${reason}`,
    ...copied,
    ...(contact === undefined ? [] : [`Contact: ${contact}`]),
    ...headers,
    ...(body === '' ? [] : [`Content-Type: ${contentType}`]),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}
