//! Events: hints that may come twice, late, out of order, or from somebody else.

use super::on_every_database;

mod on {
    use super::on_every_database;
    on_every_database!(
        an_event_over_the_wire_books_the_order,
        the_same_event_twice_is_one,
        a_forged_or_stale_event_changes_nothing,
        what_an_event_claims_is_not_believed,
        an_event_before_its_payment_is_kept,
        events_out_of_order_end_the_same,
    );
}

mod stories {
    use super::super::{WEBHOOK_SECRET, World, listen};
    use crate::base::AttemptId;
    use crate::payment::webhook::Received;
    use crate::reservation::State;
    use crate::sandbox::{Sandbox, Secrets, Settings};
    use crate::testing::clock;
    use aws_lc_rs::hmac;
    use std::time::Duration;
    use tokio_util::sync::CancellationToken;

    fn signed(at_s: i64, body: &str) -> String {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, WEBHOOK_SECRET), format!("{at_s}.{body}").as_bytes());
        let hex = tag.as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        format!("t={at_s},v1={hex}")
    }

    fn event(id: &str, kind: &str, attempt: AttemptId) -> String {
        serde_json::json!({"event_id": id, "type": kind, "reference": attempt.to_string(), "created_at_ms": 1})
            .to_string()
    }

    async fn receive(world: &World, body: &str) -> Received {
        let signature = signed(clock()() / 1_000, body);
        world.payments.receive(&signature, body.as_bytes()).await.expect("answers")
    }

    async fn becomes(world: &World, order: crate::base::ReservationId, wanted: State) {
        for _ in 0..200 {
            world.deliver().await;
            if world.state(order).await == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} instead of {wanted}", world.state(order).await);
    }

    pub(super) async fn an_event_over_the_wire_books_the_order(world: &World) {
        let payments = world.payments.clone();
        let intake =
            axum::Router::new().fallback(move |headers: axum::http::HeaderMap, body: axum::body::Bytes| async move {
                let signature =
                    headers.get("sandbox-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
                let received = payments.receive(signature, &body).await.expect("answers");
                assert_eq!(received, Received::New);
            });
        // The same ledger, opened by the process that delivers.
        let settings = Settings {
            database_path: world.folder.path().join("sandbox.db"),
            webhook_url: listen(intake).await,
            ..Settings::default()
        };
        let secrets = Secrets { processor_key: Vec::new(), webhook_secret: WEBHOOK_SECRET.to_vec() };
        let courier = Sandbox::open(settings, secrets, clock()).await.expect("opens");
        let order = world.order(&["A1"]).await;
        let attempt = world.pay_on_page(order).await;
        world.decide(attempt, "approve").await;
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { courier.run(stop).await }
        });
        becomes(world, order, State::Booked).await;
        stop.cancel();
        running.await.expect("ends");
    }

    pub(super) async fn the_same_event_twice_is_one(world: &World) {
        let order = world.order(&["A1"]).await;
        let attempt = world.pay_on_page(order).await;
        world.decide(attempt, "approve").await;
        let body = event("evt_1", "charge.captured", attempt);
        assert_eq!(receive(world, &body).await, Received::New);
        assert_eq!(receive(world, &body).await, Received::Duplicate);
        becomes(world, order, State::Booked).await;
        assert_eq!(receive(world, &body).await, Received::Duplicate);
        assert_eq!(world.one_number("select count(*) from webhook_inbox").await, 1);
    }

    pub(super) async fn a_forged_or_stale_event_changes_nothing(world: &World) {
        let order = world.order(&["A1"]).await;
        let attempt = world.pay_on_page(order).await;
        world.decide(attempt, "approve").await;
        let body = event("evt_1", "charge.captured", attempt);
        let now_s = clock()() / 1_000;
        for signature in ["".to_owned(), signed(now_s, "{}"), signed(now_s - 400, &body)] {
            let received = world.payments.receive(&signature, body.as_bytes()).await.expect("answers");
            assert_eq!(received, Received::Forged);
        }
        assert_eq!(receive(world, "{\"event_id\":1}").await, Received::Malformed);
        assert_eq!(world.one_number("select count(*) from webhook_inbox").await, 0);
        assert_eq!(world.state(order).await, State::Paying);
        world.settle().await;
    }

    pub(super) async fn what_an_event_claims_is_not_believed(world: &World) {
        let order = world.order(&["A1"]).await;
        let attempt = world.pay_on_page(order).await;
        assert_eq!(receive(world, &event("evt_1", "charge.captured", attempt)).await, Received::New);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(world.state(order).await, State::Paying, "the provider says that it waits for the customer");
    }

    pub(super) async fn an_event_before_its_payment_is_kept(world: &World) {
        let order = world.order(&["A1"]).await;
        let pay = world.try_with(order, None, Some("http://shop.example/orders/1"));
        assert_eq!(receive(world, &event("evt_1", "charge.captured", pay.attempt_id)).await, Received::New);
        assert_eq!(world.one_word("select state from webhook_inbox").await, "parked");
        world.pays(&pay).await;
        world.decide(pay.attempt_id, "approve").await;
        world.sql("update webhook_inbox set due_at = 1").await;
        world.payments.reconcile().await.expect("answers");
        assert_eq!(world.one_word("select state from webhook_inbox").await, "done");
        world.payments.reconcile().await.expect("answers");
        becomes(world, order, State::Booked).await;
    }

    pub(super) async fn events_out_of_order_end_the_same(world: &World) {
        let order = world.order(&["A1"]).await;
        let attempt = world.pay_on_page(order).await;
        world.decide(attempt, "approve").await;
        for (number, kind) in ["charge.captured", "charge.declined", "charge.requires_action"].into_iter().enumerate() {
            receive(world, &event(&format!("evt_{number}"), kind, attempt)).await;
        }
        becomes(world, order, State::Booked).await;
        assert_eq!(world.one_word("select state from attempt").await, "captured");
    }
}
