// A customer with an app, as k6 sees one: joins the line, enters, holds, checks out, pays.
import http from 'k6/http';
import { check, fail, sleep } from 'k6';
import { SharedArray } from 'k6/data';
import { Counter, Rate, Trend } from 'k6/metrics';
import exec from 'k6/execution';

const door = __ENV.DOOR;
const room = `${door}/.waiting-room/rooms/demo`;
// A turn that does not come within this many polls is a failure of the line, not of patience.
const POLLS_MAX = 200;

// The numbers of a scenario in the profile of this run.
export const plan = (scenario) => JSON.parse(open(import.meta.resolve('../profiles.json')))[__ENV.PROFILE || 'smoke'][scenario];

// Customers who were made beforehand (`vestibule customers`), one copy for all users: an id and a token a line.
const made = new SharedArray('customers', () => {
  const lines = __ENV.CUSTOMERS ? open(__ENV.CUSTOMERS).trim().split('\n') : [];
  return lines.map((line) => ({ id: line.split(' ')[0], token: line.split(' ')[1] }));
});

// From joining to being let in, and from the first hold to the ticket: what people wait for.
export const lineWait = new Trend('line_wait_ms', true);
export const purchase = new Trend('purchase_ms', true);

// The share of requests that took two seconds or more. "p95 below two seconds" is asked as "fewer than one in twenty of
// these": for a threshold of p(95) k6 sorts all values so far, every two seconds, and after 200,000 requests that takes the
// processors from whoever is measured for longer than a request.
export const late = new Rate('requests_late');
const LATE_MS = 2000;

// Every request of a customer. `parameters` have a tag `name`.
function call(method, url, body, parameters) {
  const answer = http.request(method, url, body, parameters);
  late.add(answer.timings.duration >= LATE_MS, { name: parameters.tags.name });
  return answer;
}

// Answers of 503 with a time to come again, which the client obeys.
export const comeAgain = new Counter('told_to_come_again');
// Who was not let in before the instant at which all act.
export const cameLate = new Counter('came_too_late');
const AGAIN_MAX = 5;

// Taken seats, sold-out stock and a declined card are answers, not failures; where far too many come, so is "come again".
const ANSWERS = [{ min: 200, max: 299 }, 402, 409];
http.setResponseCallback(http.expectedStatuses(...ANSWERS));
export const expectCrowd = () => http.setResponseCallback(http.expectedStatuses(...ANSWERS, 503));

function headers(customer) {
  const sent = { 'content-type': 'application/json', accept: 'application/json' };
  if (customer && customer.token) sent.authorization = `Bearer ${customer.token}`;
  if (customer && customer.entry) sent['x-entry-token'] = customer.entry;
  return { headers: sent, timeout: '30s' };
}

// Keys that nobody else has. Without `exec`, which makes its objects anew each time that it is asked.
const mine = `${__VU}-${Math.random().toString(36).slice(2)}`;
let keys = 0;

export function post(customer, path, body, name) {
  const parameters = headers(customer);
  keys += 1;
  parameters.headers['idempotency-key'] = `${mine}-${keys}`;
  parameters.tags = { name: name || path };
  const send = () => call('POST', `${door}${path}`, JSON.stringify(body || {}), parameters);
  let answer = send();
  // With the same key, so that it is the same request.
  for (let again = 0; again < AGAIN_MAX && answer.status === 503 && answer.headers['Retry-After']; again += 1) {
    comeAgain.add(1);
    sleep(Number(answer.headers['Retry-After']) + Math.random());
    answer = send();
  }
  return answer;
}

export function get(customer, path, name) {
  return call('GET', `${door}${path}`, null, Object.assign(headers(customer), { tags: { name: name || path } }));
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

// The customer of this user, let in.
export function arrived() {
  const customer = Object.assign({}, made[exec.vu.idInTest - 1]);
  if (!customer.token) fail(`no customer for user ${exec.vu.idInTest}`);
  customer.entry = enter();
  return customer;
}

// What `setup` tells everybody: the instant at which all act. `together` waits for it.
export const gathering = (seconds) => ({ at: Date.now() + seconds * 1000 });
export const together = (gathered) => {
  if (Date.now() > gathered.at) cameLate.add(1);
  sleep(Math.max(0, gathered.at - Date.now()) / 1000);
};

// Thresholds of a scenario in which every request is answered as it should be.
export const exact = (more) => Object.assign({ checks: ['rate==1'], http_req_failed: ['rate==0'] }, more);

// Times are held against a bound where the machine is there to be measured; elsewhere they are only shown.
export const timed = (bounds) => (__ENV.PROFILE === 'seed' ? bounds : []);

export function enter() {
  const started = Date.now();
  let answer = call('POST', `${room}/tickets`, null, { tags: { name: 'join' } });
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
      ? call('POST', `${room}/entry`, null, Object.assign({ tags: { name: 'enter' } }, bearer))
      : call('GET', `${room}/ticket`, null, Object.assign({ tags: { name: 'poll' } }, bearer));
  }
  return fail('never let in');
}

export const hold = (customer, screening, seats) =>
  post(customer, `/screenings/${screening}/holds`, { seats }, 'hold');
export const checkout = (customer, holdId) => post(customer, `/holds/${holdId}/checkout`, {}, 'checkout');
export const buyStock = (customer, product, quantity) =>
  post(customer, '/checkout', { product_id: product, quantity }, 'checkout stock');
export const order = (customer, product, quantity, code) =>
  post(customer, '/api/orders', { lines: [{ product_id: product, quantity }], coupon: code }, 'order');
export const cancel = (customer, orderId) => post(customer, `/api/orders/${orderId}/cancel`, {}, 'cancel');
export const coupon = (customer) => post(customer, '/api/coupons/issue', { campaign: 'demo' }, 'coupon');

// Whether somebody was told that there is nothing left, now or for good.
export const toldGone = (answer) => answer.status === 409 && ['sold_out', 'all_held'].includes(answer.json('code'));
export const booked = (answer) => answer.status === 200 && answer.json('state') === 'booked';

// Pays an order; the answer of the payment.
export function pay(customer, orderId, paymentToken) {
  const body = { payment_method: 'credit_card' };
  if (paymentToken) body.payment_token = paymentToken;
  return post(customer, `/api/orders/${orderId}/pay`, body, 'pay');
}
