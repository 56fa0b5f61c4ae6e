// More people than stock, all at once, and a coupon for each: nobody gets what is not there.
import { check } from 'k6';
import { Counter } from 'k6/metrics';
import { admitted, buyStock, coupon, pay, plan } from '../lib/client.js';

const profile = plan('flash-sale');

export const sold = new Counter('units_sold');
export const refused = new Counter('orders_refused');

export const options = {
  scenarios: {
    flash: { executor: 'per-vu-iterations', vus: profile.vus, iterations: 1, maxDuration: profile.max },
  },
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    dropped_iterations: ['count==0'],
  },
};

export default function flashSale() {
  const customer = admitted();
  const issued = coupon(customer);
  check(issued, { 'a coupon for each': (answer) => answer.status === 201 });
  const again = coupon(customer);
  check(again, { 'never two': (answer) => answer.status === 409 });

  const order = buyStock(customer, 'poster', profile.quantity);
  check(order, {
    'stock held, or told that it is gone': (answer) =>
      answer.status === 201 || ['sold_out', 'all_held'].includes(answer.json('code')),
  });
  if (order.status !== 201) {
    refused.add(1);
    return;
  }
  const booked = pay(customer, order.json('order_id'));
  check(booked, { booked: (answer) => answer.status === 200 && answer.json('state') === 'booked' });
  sold.add(profile.quantity);
}
