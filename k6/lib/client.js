// A customer with an app, as k6 sees one: joins the line, enters, holds, checks out, pays.
import http from 'k6/http';
import { check, fail, sleep } from 'k6';
import { Trend } from 'k6/metrics';
import exec from 'k6/execution';

const door = __ENV.DOOR;
const room = `${door}/.waiting-room/rooms/demo`;
// A turn that does not come within this many polls is a failure of the line, not of patience.
const POLLS_MAX = 200;

// From joining to being let in, and from the first hold to the ticket: what people wait for.
export const lineWait = new Trend('line_wait_ms', true);
export const purchase = new Trend('purchase_ms', true);

// Taken seats, sold-out stock and a declined card are answers, not failures.
http.setResponseCallback(http.expectedStatuses({ min: 200, max: 299 }, 402, 409));

function headers(customer) {
  const sent = { 'content-type': 'application/json', accept: 'application/json' };
  if (customer && customer.token) sent.authorization = `Bearer ${customer.token}`;
  if (customer && customer.entry) sent['x-entry-token'] = customer.entry;
  return { headers: sent, timeout: '30s' };
}

function post(customer, path, body, name) {
  const parameters = headers(customer);
  parameters.headers['idempotency-key'] = `${exec.scenario.name}-${exec.vu.idInTest}-${exec.vu.iterationInScenario}-${path}-${Math.random()}`;
  parameters.tags = { name: name || path };
  return http.post(`${door}${path}`, JSON.stringify(body || {}), parameters);
}

export function get(customer, path, name) {
  return http.get(`${door}${path}`, Object.assign(headers(customer), { tags: { name: name || path } }));
}

// A registered customer who has been let in.
export function admitted() {
  const email = `k6-${exec.scenario.name}-${exec.vu.idInTest}-${exec.vu.iterationInScenario}@example.test`;
  const made = post(null, '/register', { email, password: 'correct horse battery' });
  if (!check(made, { 'registered': (answer) => answer.status === 201 })) fail(`register: ${made.status} ${made.body}`);
  const customer = { id: made.json('customer_id'), token: made.json('token') };
  customer.entry = enter();
  return customer;
}

function enter() {
  const started = Date.now();
  let answer = http.post(`${room}/tickets`, null, { tags: { name: 'join' } });
  if (!check(answer, { 'joined': (joined) => joined.status === 201 })) fail(`join: ${answer.status} ${answer.body}`);
  const bearer = { headers: { authorization: `Bearer ${answer.json('ticket')}` } };
  for (let poll = 0; poll < POLLS_MAX; poll += 1) {
    const token = answer.json('entry_token');
    if (token) {
      lineWait.add(Date.now() - started);
      return token;
    }
    sleep((answer.json('poll_after_ms') || 500) / 1000);
    const called = answer.json('state') === 'called';
    answer = called
      ? http.post(`${room}/entry`, null, Object.assign({ tags: { name: 'enter' } }, bearer))
      : http.get(`${room}/ticket`, Object.assign({ tags: { name: 'poll' } }, bearer));
  }
  return fail('never let in');
}

export const hold = (customer, screening, seats) =>
  post(customer, `/screenings/${screening}/holds`, { seats }, 'hold');
export const checkout = (customer, holdId) => post(customer, `/holds/${holdId}/checkout`, {}, 'checkout');
export const buyStock = (customer, product, quantity) =>
  post(customer, '/checkout', { product_id: product, quantity }, 'checkout stock');
export const coupon = (customer) => post(customer, '/api/coupons/issue', { campaign: 'demo' }, 'coupon');

// Pays an order; the answer of the payment.
export function pay(customer, orderId, paymentToken) {
  const body = { payment_method: 'credit_card' };
  if (paymentToken) body.payment_token = paymentToken;
  return post(customer, `/api/orders/${orderId}/pay`, body, 'pay');
}
