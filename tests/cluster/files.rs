//! Files in a cluster: whoever gives a slot, any member takes the file, and gives it out.

use town::http::get;

use super::quarters::{Quarters, until_acts};
use crate::redis::{self, log_in};
use crate::xep::upload::{put, request, slot, status};

#[test]
fn any_member_takes_a_file_for_a_slot_and_any_gives_it_out() {
    if !redis::fixture::is_there() {
        return;
    }
    let (_redis, store) = redis::redis();
    let quarters = Quarters::of(3, 3);
    let dir = quarters.certificates.join("uploads");
    let config = format!(
        "{store}[upload]\nurl = 'https://files.example'\nquota_bytes = 90\ndir = '{}'\n",
        dir.display()
    );
    let stages = quarters.start_all(3, &config);
    stages.iter().for_each(until_acts);
    let names = ["romeo", "juliet", "mercutio", "tybalt"];
    stages[0].add_accounts(&names);
    for name in names {
        // The client is at one member, its account perhaps at another, the file comes to a third.
        let mut client = log_in(&stages[0], name);
        for taker in &stages {
            let slot = slot(&mut client, "filename='a.txt' size='30' content-type='text/plain'");
            let words = format!("{name:>30}");
            assert_eq!(put(taker.http, &slot.put, "text/plain", &words), 201);
            for giver in &stages {
                let had = get(giver.http, &slot.get, "");
                assert!(status(&had) == 200 && had.ends_with(&words), "{had}");
            }
        }
        // What other members have taken counts.
        let answer = request(&mut client, "filename='a.txt' size='1'");
        assert!(answer.child("error", "").is_some(), "{answer:?}");
    }
}
