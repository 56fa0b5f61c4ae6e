//! What an operator does in the core's database from the terminal: a catalogue from a file, and decisions about orders.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Output;

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{App, House, id, said, until, vestibule};
use crate::journey::FAST;

fn shown(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The number behind a name in the summary.
fn summary(output: &Output, name: &str) -> u64 {
    let text = shown(output);
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    line.trim().parse().expect("a number")
}

/// A hall of 5,000 seats, and screenings in it.
fn large(screenings: usize) -> String {
    let mut text = String::from(
        "[[films]]\nid = \"f\"\ntitle = \"Film\"\nsynopsis = \"It is long.\"\ngenre = \"Drama\"\nminutes = 90\n\
         poster_url = \"/static/posters/paper-cities.svg\"\n[[halls]]\nname = \"Arena\"\n",
    );
    for n in 0..100_u8 {
        let name = format!("{}{}", char::from(b'A' + n / 26), char::from(b'A' + n % 26));
        let row = format!("row = \"{name}\"\nsection = \"Ring\"\nprice = 900\nseats = \"{}\"", "s".repeat(50));
        writeln!(text, "[[halls.rows]]\n{row}").expect("text");
    }
    text.push_str("[[sales]]\nid = \"tour\"\ntitle = \"Tour\"\ncurrency = \"EUR\"\nhold_ms = 1000\npay_ms = 1000\nseats_max = 8\n");
    for n in 0..screenings {
        let screening = format!("id = \"night-{n}\"\nfilm = \"f\"\nhall = \"Arena\"\nstarts_at = 1900000000000");
        writeln!(text, "[[sales.screenings]]\n{screening}").expect("text");
    }
    text
}

#[test]
fn a_catalogue_is_stored_once_and_what_differs_is_said() {
    let house = House::new();
    let file = house.path().join("tour.toml");
    fs::write(&file, large(1)).expect("written");
    let seed = || vestibule(house.path(), &["seed", "tour.toml"]);
    assert_eq!(summary(&seed(), "seats"), 5_000);
    assert_eq!(summary(&seed(), "seats"), 0, "once is enough");
    fs::write(&file, large(2).replace("pay_ms = 1000", "pay_ms = 2000")).expect("written");
    let again = seed();
    assert_eq!((summary(&again, "screenings"), summary(&again, "seats")), (1, 5_000), "what is new is added");
    assert!(shown(&again).contains("sale tour: pay_ms is 1000 in the database, 2000 in the catalogue"), "{again:?}");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/catalogue.toml");
    let example = vestibule(house.path(), &["seed", &example.display().to_string()]);
    assert_eq!((summary(&example, "sales"), summary(&example, "campaigns")), (1, 1));
}

#[test]
fn mistakes_are_told_with_their_place_and_store_nothing() {
    let house = House::new();
    let seed = |name: &str, text: &str| {
        fs::write(house.path().join(name), text).expect("written");
        let output = vestibule(house.path(), &["seed", name]);
        (output.status.code(), said(&output))
    };
    let wrong = large(1).replace("hall = \"Arena\"\nstarts", "hall = \"Area\"\nstarts").replace("\"EUR\"", "\"euro\"");
    let (code, told) = seed("wrong.toml", &wrong);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("wrong.toml") && told.contains("sales[0].screenings[0].hall"), "{told}");
    assert!(told.contains("sales[0].currency"), "all mistakes at once: {told}");
    let (code, told) = seed("broken.json", "{\n  \"sales\": [\n    { \"id\": 7 }\n  ]\n}");
    assert_eq!(code, Some(3));
    assert!(told.contains("broken.json") && told.contains("line 3"), "{told}");
    let missing = vestibule(house.path(), &["seed", "nowhere.toml"]);
    assert_eq!(missing.status.code(), Some(2), "{}", said(&missing));
    assert_eq!(vestibule(house.path(), &["seed"]).status.code(), Some(2));
    fs::write(house.path().join("good.toml"), large(1)).expect("written");
    let nobody = "core.database_url=mysql://nobody:secret@127.0.0.1:9/core";
    let down = vestibule(house.path(), &["seed", "good.toml", "--set", nobody]);
    assert_eq!(down.status.code(), Some(4), "{}", said(&down));
    assert!(said(&down).contains("core.database_url") && !said(&down).contains("secret"), "{}", said(&down));
    let good = vestibule(house.path(), &["seed", "good.toml"]);
    assert_eq!(summary(&good, "films"), 1, "nothing of the wrong one was there");
}

#[tokio::test]
async fn an_operator_cancels_a_booked_order_and_the_money_goes_back() {
    let house = House::new();
    let running = house.start(&[FAST]);
    let app = App::admitted(&running.door).await;
    let order = app.buy(&["C1", "C2"]).await;
    let (order, transaction) = (id(&order, "order_id"), id(&order, "transaction_id"));
    let orders = |arguments: &[&str]| vestibule(house.path(), &[&["orders"], arguments].concat());
    assert!(shown(&orders(&["review"])).contains("no order waits"));
    assert!(shown(&orders(&["show", &order])).contains("state      booked"));
    let refused = orders(&["settle", &order, "--paid", "--note", "x"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("only an order under review"), "{}", said(&refused));
    assert_eq!(orders(&["settle", &order, "--note", "x"]).status.code(), Some(2));
    let cancelled = shown(&orders(&["--as", "ann", "cancel", &order, "--note", "the projector is broken"]));
    assert!(
        cancelled.contains("state      cancelled") && cancelled.contains("by ann: the projector is broken"),
        "{cancelled}"
    );
    until("the money is back", || async {
        app.get(&format!("/transactions/{transaction}")).await.1["status"] == "refunded"
    })
    .await;
    let app = App::admitted(&running.door).await;
    assert_eq!(app.seat_state("C1").await, "free");
    // The demo's customers may cancel themselves, until its night, and need not wait in line for it.
    let own = id(&app.buy(&["C1", "C2"]).await, "order_id");
    let (status, own) = app.post(&format!("/api/orders/{own}/cancel"), &json!({})).await;
    assert_eq!((status, &own["state"]), (StatusCode::OK, &json!("cancelled")), "{own}");
}
