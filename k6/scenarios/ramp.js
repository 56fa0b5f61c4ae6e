// A few users order more and more often, far beyond what is in stock; some cards are declined, and what those people had
// comes back: at once if they cancel, when their time is over if they just leave.
import { check } from 'k6';
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';
import { arrived, booked, cancel, enter, exact, order, pay, plan, timed, toldGone } from '../lib/client.js';

const profile = plan('ramp');

export const sold = new Counter('units_sold');
export const declined = new Counter('payments_declined');

export const options = {
  scenarios: {
    ramp: {
      executor: 'ramping-arrival-rate',
      startRate: 0,
      timeUnit: '1s',
      preAllocatedVUs: profile.users,
      maxVUs: profile.users,
      stages: profile.stages.map(([duration, target]) => ({ duration, target })),
    },
  },
  thresholds: exact({
    requests_late: timed(['rate<0.05']),
    'requests_late{name:order}': timed(['rate<0.05']),
    // Only to have its times in the summary.
    'http_req_duration{name:order}': [],
    dropped_iterations: timed(['count==0']),
    payments_declined: ['count>0'],
  }),
};

// One for each user, and let in again after each booking: what ends with the ticket is the stay.
let customer = null;

export default function ramp() {
  if (!customer) customer = arrived();
  if (!customer.entry) customer.entry = enter();
  const made = order(customer, 'poster', 1);
  check(made, { 'stock held, or told that it is gone': (answer) => answer.status === 201 || toldGone(answer) });
  if (made.status !== 201) return;
  const id = made.json('order_id');
  // Every fifth card is declined; of those people every other one cancels.
  const turn = exec.scenario.iterationInTest % 10;
  if (turn === 4 || turn === 9) {
    declined.add(1);
    check(pay(customer, id, 'tok_declined'), { 'a declined card is told': (answer) => answer.status === 402 });
    if (turn === 4) check(cancel(customer, id), { cancelled: (answer) => answer.status === 200 });
    return;
  }
  if (check(pay(customer, id), { booked })) sold.add(1);
  customer.entry = null;
}
