// Far more people than stock, at the same instant: exactly what there is is sold, and the rest are told so.
import { check } from 'k6';
import { Counter } from 'k6/metrics';
import { arrived, booked, exact, expectCrowd, gathering, order, pay, plan, timed, together, toldGone } from '../lib/client.js';

const profile = plan('rush');
expectCrowd();
const there = profile.set['demo.stock'];

export const sold = new Counter('units_sold');
export const told = new Counter('people_told_so');

export const options = {
  scenarios: {
    rush: { executor: 'per-vu-iterations', vus: profile.users, iterations: 1, maxDuration: '5m' },
  },
  thresholds: exact({
    'http_req_duration{name:order}': timed(['max<10000']),
    units_sold: [`count==${there}`],
    people_told_so: [`count==${profile.users - there}`],
    dropped_iterations: ['count==0'],
    came_too_late: timed(['count==0']),
  }),
};

export const setup = () => gathering(profile.gather_s);

export default function rush(gathered) {
  const customer = arrived();
  together(gathered);
  const made = order(customer, 'poster', 1);
  check(made, { 'stock held, or told that it is gone': (answer) => answer.status === 201 || toldGone(answer) });
  if (toldGone(made)) told.add(1);
  if (made.status !== 201) return;
  if (check(pay(customer, made.json('order_id')), { booked })) sold.add(1);
}
