//! What comes by HTTP, by way of any member: a session of BOSH goes on wherever its requests are sent.

use super::quarters::{Quarters, status, until};
use crate::redis::{fixture, redis};
use crate::xep::bosh::{Bosh, message};

// XEP-0124 §13: requests of one session may come by way of several connections, and so of several members.
#[test]
fn a_session_of_bosh_goes_on_by_way_of_every_member_until_its_own_dies() {
    if !fixture::is_there() {
        return;
    }
    let (_redis, store) = redis();
    let mut stages = Quarters::of(3, 3).start_all(3, &store);
    until("standbys", || status(&stages[0]).members.iter().all(|row| row.standby_shards > 0));
    stages[0].add_accounts(&["romeo"]);
    let mut romeo = Bosh::bound(&stages[0], "romeo");
    for (number, stage) in [&stages[1], &stages[2], &stages[0], &stages[2]].iter().enumerate() {
        romeo.http = stage.http;
        let said = format!("by way of {number}");
        let heard = romeo.ask("", &message("romeo@localhost/web", &said));
        assert!(heard.contains(&format!("<body>{said}</body>")), "{heard}");
    }
    let (here, there) = (stages[1].http, stages[2].http);
    romeo.http = here;
    assert!(romeo.skip().contains("condition='item-not-found'"));

    let mut romeo = Bosh::bound(&stages[0], "romeo");
    stages[0].kill();
    romeo.http = there;
    let heard = romeo.ask("", "");
    assert!(heard.contains("type='terminate' condition='item-not-found'"), "{heard}");
}
