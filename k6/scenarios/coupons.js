// Far more people than coupons, at the same instant: exactly as many are given away as there are, one to each.
import { check } from 'k6';
import { Counter } from 'k6/metrics';
import { arrived, coupon, exact, expectCrowd, gathering, plan, timed, together } from '../lib/client.js';

const profile = plan('coupons');
expectCrowd();
const there = profile.set['demo.coupons'];

export const issued = new Counter('coupons_issued');
export const told = new Counter('people_told_so');

export const options = {
  scenarios: {
    coupons: { executor: 'per-vu-iterations', vus: profile.users, iterations: 1, maxDuration: '5m' },
  },
  thresholds: exact({
    'http_req_duration{name:coupon}': timed(['max<10000']),
    coupons_issued: [`count==${there}`],
    people_told_so: [`count==${profile.users - there}`],
    dropped_iterations: ['count==0'],
    came_too_late: timed(['count==0']),
  }),
};

export const setup = () => gathering(profile.gather_s);

export default function coupons(gathered) {
  const customer = arrived();
  together(gathered);
  const first = coupon(customer);
  const gone = first.status === 409 && first.json('code') === 'coupons_gone';
  check(first, { 'a coupon, or told that they are gone': (answer) => answer.status === 201 || gone });
  if (gone) told.add(1);
  if (first.status !== 201) return;
  issued.add(1);
  const second = coupon(customer);
  check(second, {
    'never two': (answer) => answer.json('code') === 'already_issued' && answer.json('coupon') === first.json('code'),
  });
}
