// Everybody has a coupon and orders with it at the same instant; then they pay, and every tenth card is declined once.
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import { arrived, booked, cancel, coupon, gathering, order, pay, plan, timed, together } from '../lib/client.js';

const profile = plan('orders');

export const options = {
  scenarios: {
    orders: { executor: 'per-vu-iterations', vus: profile.users, iterations: 1, maxDuration: '5m' },
  },
  thresholds: {
    'http_req_duration{name:order}': timed([`avg<${profile.average_ms}`]),
    http_req_failed: ['rate<0.01'],
    checks: ['rate>0.99'],
    dropped_iterations: ['count==0'],
    came_too_late: timed(['count==0']),
  },
};

export const setup = () => gathering(profile.gather_s);

export default function orders(gathered) {
  const customer = arrived();
  const issued = coupon(customer);
  check(issued, { 'a coupon for each': (answer) => answer.status === 201 });
  const code = issued.json('code');
  together(gathered);
  let made = order(customer, 'poster', 1, code);
  const reduced = (answer) =>
    answer.status === 201 && answer.json('total.amount') === answer.json('subtotal.amount') - answer.json('discount.amount');
  check(made, { 'ordered, for less': (answer) => reduced(answer) && answer.json('discount.amount') > 0 });
  if (made.status !== 201) return;
  sleep(Math.random() * profile.pay_over_s);
  if (exec.vu.idInTest % 10 === 0) {
    const declined = pay(customer, made.json('order_id'), 'tok_declined');
    check(declined, { 'a declined card is told': (answer) => answer.status === 402 });
    check(cancel(customer, made.json('order_id')), { cancelled: (answer) => answer.status === 200 });
    made = order(customer, 'poster', 1, code);
    check(made, { 'the coupon came back with the order': reduced });
  }
  check(pay(customer, made.json('order_id')), { booked });
}
