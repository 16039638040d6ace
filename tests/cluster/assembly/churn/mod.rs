//! A room whose people come and go, take other nicks, are kicked and banned, while its owner is killed again and again:
//! whatever was answered with success holds for all.

mod guest;
mod troupe;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use xmpp::{Element, ns};

use super::occupant::{GUEST, ROOM, Record, nick};
use super::{Assembly, Faults, Verdict, reader, until};
use crate::redis;
use crate::stage::Stage;
use guest::Story;
use troupe::{GUESTS, Troupe, name};

/// Who stay inside all the time.
const STAYERS: usize = 9;
const TROUPES: usize = 3;
const DEATHS: usize = 3;

/// Somebody who comes when it is over.
const LAST: &str = "guestlast";

/// Makes these admins.
fn appoint(stage: &Stage, owner: &str, names: &[String]) {
    let item = |name: &String| format!("<item jid='{name}@localhost' affiliation='admin'/>");
    let items: String = names.iter().map(item).collect();
    let mut owner = reader(stage, owner);
    owner.send(format!(
        "<iq type='set' id='admins' to='{ROOM}'><query xmlns='{}'>{items}</query></iq>",
        ns::MUC_ADMIN
    ));
    let answer = std::iter::from_fn(|| owner.next()).find(|it| it.attr("id") == Some("admins"));
    assert_eq!(answer.expect("an answer").attr("type"), Some("result"));
    owner.leave();
}

/// Whom a newcomer is shown, but himself.
fn seen_by_newcomer(stage: &Stage) -> BTreeSet<String> {
    let mut newcomer = reader(stage, LAST);
    newcomer.send(format!("<presence to='{ROOM}/{LAST}'><x xmlns='{}'/></presence>", ns::MUC));
    let mut seen = BTreeSet::new();
    loop {
        let next = newcomer.next().expect("the room answers");
        assert_ne!(next.attr("type"), Some("error"), "{next:?}");
        match (next.name(), nick(&next)) {
            ("presence", Some(nick)) if nick != LAST => drop(seen.insert(nick.to_owned())),
            ("message", _) if next.child("subject", "").is_some() => break,
            _ => {}
        }
    }
    newcomer.leave();
    seen
}

/// Who may not come in, as an owner is told.
fn banned(stage: &Stage, owner: &str) -> BTreeSet<String> {
    let mut owner = reader(stage, owner);
    owner.send(format!(
        "<iq type='get' id='outcasts' to='{ROOM}'><query xmlns='{}'><item affiliation='outcast'/></query></iq>",
        ns::MUC_ADMIN
    ));
    let answer = std::iter::from_fn(|| owner.next()).find(|it| it.attr("id") == Some("outcasts"));
    let answer = answer.expect("an answer");
    let items = answer.child("query", ns::MUC_ADMIN).expect("a list").children();
    let local = |item: &Element| Some(item.attr("jid")?.split_once('@')?.0.to_owned());
    items.filter_map(local).collect()
}

/// Everything of a list that is about one guest.
fn of_guest(passages: &[String], name: &str) -> Vec<String> {
    let marks = ['+', '-'].map(|sign| format!("{sign}{name}."));
    let is_his = |it: &&String| marks.iter().any(|mark| it.starts_with(mark));
    passages.iter().filter(is_his).cloned().collect()
}

/// What was seen by somebody who was away for a while, with those arrivals of which only the departure was left then:
/// of each sender the last presence waits for a client (XEP-0352 §3.2).
fn with_superseded(seen: Vec<String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::with_capacity(seen.len());
    for passage in seen {
        let gone = passage.strip_prefix('-').and_then(|gone| gone.split(' ').next());
        let came = gone.map(|nick| format!("+{nick}"));
        all.extend(came.filter(|came| !all.contains(came)));
        all.push(passage);
    }
    all
}

/// What was seen behind what these commands brought about, in their order; and the commands of which not all was seen.
/// What was told when the owner died, before its second copy knew of it, is told twice, all that the command brought
/// about: presence is a state.
fn unexplained<'a, 'b, S: AsRef<str>>(
    mut seen: &'a [S],
    mut commands: &'b [Vec<String>],
) -> (&'a [S], &'b [Vec<String>]) {
    while let Some((command, later)) = commands.split_first() {
        let mut is_seen = command.is_empty();
        loop {
            let same =
                seen.iter().zip(command).take_while(|(a, b)| a.as_ref() == b.as_str()).count();
            if same == 0 {
                break;
            }
            is_seen |= same == command.len();
            seen = &seen[same..];
        }
        if !is_seen {
            break;
        }
        commands = later;
    }
    (seen, commands)
}

/// Whatever was done was seen by all who stayed, in its order, and nothing else.
fn judge_passages(stories: &[Story], records: &[Record]) {
    for record in records {
        for story in stories {
            let seen = of_guest(&record.passages, &story.name);
            let seen = if record.resumed > 0 { with_superseded(seen) } else { seen };
            let (more, missing) = unexplained(&seen, &story.passages);
            let [seen_before, done_before] =
                [seen.len() - more.len(), story.passages.len() - missing.len()];
            assert!(
                more.is_empty() && missing.is_empty(),
                "{} of {}: behind {:?} came {:?}, where {:?} was done behind {:?}",
                record.name,
                story.name,
                &seen[seen_before.saturating_sub(4)..seen_before],
                &more[..more.len().min(8)],
                &missing[..missing.len().min(6)],
                &story.passages[done_before.saturating_sub(3)..done_before],
            );
        }
    }
}

#[test]
fn what_a_command_brings_about_may_be_seen_twice_but_not_in_parts_or_too_late() {
    let commands = [vec!["+a"], vec!["-a 303", "+b"], vec!["-b 307"]];
    let commands = commands.map(|it| it.into_iter().map(str::to_owned).collect::<Vec<_>>());
    let is_well = |seen: &[&str]| {
        let (more, missing) = unexplained(seen, &commands);
        more.is_empty() && missing.is_empty()
    };
    assert!(is_well(&["+a", "-a 303", "+b", "-b 307"]));
    assert!(is_well(&["+a", "+a", "-a 303", "+b", "-a 303", "+b", "-b 307"]));
    assert!(is_well(&["+a", "-a 303", "-a 303", "+b", "-b 307"]), "the owner died in between");
    for wrong in [
        &["+a", "-a 303", "+b"][..],
        &["+a", "-a 303", "-b 307"],
        &["+a", "-a 303", "+b", "+a", "-b 307"],
        &["+a", "-a 303", "+b", "-b 307", "+b"],
    ] {
        assert!(!is_well(wrong), "{wrong:?}");
    }
}

#[test]
fn whoever_was_away_may_see_somebody_go_of_whom_nothing_else_was_left() {
    let passages = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let seen = passages(&["+a", "-a 303", "-b 307", "-b 307", "+c"]);
    assert_eq!(with_superseded(seen), passages(&["+a", "-a 303", "+b", "-b 307", "-b 307", "+c"]));
}

/// While somebody was inside he missed nothing and heard nothing twice: what he heard is one piece of the archive.
fn judge_stays(kept: &[String], story: &Story) {
    for stay in &story.stays {
        let Some(first) = stay.first() else { continue };
        let at = kept.iter().position(|it| it == first);
        let at = at.unwrap_or_else(|| panic!("{first} is not in the archive"));
        let due = &kept[at..(at + stay.len()).min(kept.len())];
        assert_eq!(Faults::between(due, stay), Faults::default(), "{}: {stay:?}", story.name);
        assert_eq!(due, stay, "{}", story.name);
    }
}

#[test]
fn whoever_comes_goes_or_is_sent_away_is_in_or_out_for_all_however_often_the_owner_dies() {
    if !redis::fixture::is_there() {
        return;
    }
    let mut assembly = Assembly::begin(STAYERS, "");
    let people = (0..TROUPES).flat_map(|troupe| (0..=GUESTS).map(move |it| name(troupe, it)));
    let people: Vec<String> = people.chain([LAST.to_owned()]).collect();
    assert!(people.iter().all(|name| name.starts_with(GUEST)));
    assembly.stages[0].add_accounts(&people);
    let moderators: Vec<String> = (0..TROUPES).map(|troupe| name(troupe, 0)).collect();
    appoint(&assembly.stages[0], &assembly.names[0], &moderators);
    let idle = Arc::new(AtomicUsize::new(0));
    let troupes: Vec<_> = (0..TROUPES)
        .map(|number| Troupe::new(number, (&assembly.scene, &idle), &assembly.members))
        .map(|troupe| std::thread::spawn(move || troupe.play()))
        .collect();
    assembly.go_on(50);
    for _ in 0..DEATHS {
        assembly.lose_owner();
    }
    assembly.fall_silent();
    until("the last answer", || {
        assert!(!troupes.iter().any(JoinHandle::is_finished), "a troupe has failed");
        idle.load(Ordering::Acquire) == TROUPES
    });
    let (shown, shut_out) =
        (seen_by_newcomer(&assembly.stages[1]), banned(&assembly.stages[2], &assembly.names[0]));
    // The newcomer is no guest of a troupe: all of these are inside, if none is seen who is not.
    assembly.close(shown.len() - STAYERS);
    assembly.disperse();
    let stories: Vec<Story> = troupes.into_iter().flat_map(|it| it.join().unwrap()).collect();
    let stayers = assembly.names.clone();
    let (kept, records) = assembly.records(0);

    let faults: Vec<&String> = stories.iter().flat_map(|story| &story.faults).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    Verdict::of(&kept, &records).judge();
    judge_passages(&stories, &records);
    stories.iter().for_each(|story| judge_stays(&kept, story));
    let inside = stories.iter().filter_map(|story| story.inside.clone());
    let inside: BTreeSet<String> = inside.chain(stayers).collect();
    assert_eq!(shown, inside);
    for story in stories.iter().filter(|story| story.inside.is_some()) {
        assert_eq!(story.view, inside, "{}", story.name);
    }
    let out = stories.iter().filter(|story| story.is_banned).map(|story| story.name.clone());
    assert_eq!(shut_out, out.collect());
    let commands: usize = stories.iter().map(|story| story.commands).sum();
    println!("{commands} commands of {} guests over {DEATHS} deaths", stories.len());
    assert!(commands > 100, "{stories:#?}");
}
