/** The smallest IAM policy that allows these actions. None of the describing ones can be bound to a resource. */
export function leastPolicy(actions: readonly string[]): string {
  const statement = { Effect: 'Allow', Action: [...new Set(actions)].sort(), Resource: '*' };
  return JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
}
