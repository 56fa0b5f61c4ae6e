// The whole way, many times at once: line, seats that others want too, a declined card now and then, the ticket.
import { check } from 'k6';
import { admitted, checkout, get, hold, lineWait, pay, plan, purchase } from '../lib/client.js';

const profile = plan('journey');

export const options = {
  scenarios: {
    journey: { executor: 'per-vu-iterations', vus: profile.vus, iterations: profile.iterations, maxDuration: profile.max },
  },
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    dropped_iterations: ['count==0'],
  },
};

const SCREENINGS = ['lighthouse-1900', 'lighthouse-2130'];

function freeSeats(customer, screening) {
  const map = get(customer, `/screenings/${screening}/seats`, 'seat map');
  check(map, { 'seat map': (answer) => answer.status === 200 });
  return map.json('seats').filter((seat) => seat.state === 'free').map((seat) => seat.seat);
}

export default function journey() {
  const customer = admitted();
  const screening = SCREENINGS[Math.floor(Math.random() * SCREENINGS.length)];
  const started = Date.now();
  let held = null;
  for (let attempt = 0; attempt < 10 && !held; attempt += 1) {
    const free = freeSeats(customer, screening);
    if (free.length < 2) return;
    // Everybody wants the front seats: that is where holds collide.
    const first = Math.floor(Math.random() * Math.min(12, free.length - 1));
    const answer = hold(customer, screening, [free[first], free[first + 1]]);
    check(answer, { 'held, or told which seats went': (got) => got.status === 201 || got.json('code') === 'seats_taken' });
    if (answer.status === 201) held = answer.json('hold_id');
  }
  if (!held) return;
  const order = checkout(customer, held);
  check(order, { 'checked out': (answer) => answer.status === 201 });
  if (Math.random() < 0.3) {
    const declined = pay(customer, order.json('order_id'), 'tok_declined');
    check(declined, { 'a declined card is told': (answer) => answer.status === 402 });
  }
  const booked = pay(customer, order.json('order_id'));
  check(booked, { booked: (answer) => answer.status === 200 && answer.json('state') === 'booked' });
  purchase.add(Date.now() - started);
  const transaction = get(customer, `/transactions/${booked.json('transaction_id')}`, 'transaction');
  check(transaction, { 'transaction completed': (answer) => answer.json('status') === 'completed' });
}

export { lineWait };
