//! Owns answers, events and last items on their way.

use entity::Context;
use entity::refuse::store_error;
use nodes::collection::{Fetch, keys, payloads};
use nodes::{Answer, Outcome, notice};
use store::get_all;
use xmpp::{Element, Jid, Stanza};

use crate::service::Service;

/// What came of a request is kept: the answer, then what others are told.
pub(crate) fn tell(
    service: &mut Service,
    outcome: Outcome,
    request: Option<Stanza>,
    cx: &mut Context<'_, Service>,
) {
    if let Some(request) = request {
        respond(request, outcome.answer, cx);
    }
    for notice in outcome.notices {
        cx.send_to_all(notice.stanza, notice.listeners);
    }
    for (node, jid) in outcome.newcomers {
        greet(service, node, jid, cx);
    }
}

fn respond(request: Stanza, answer: Answer, cx: &mut Context<'_, Service>) {
    match answer {
        Answer::Done => cx.send(request.result(None)),
        Answer::Result(result) => cx.send(request.result(Some(&result))),
        Answer::Items(fetch) => fetch_items(request, fetch, cx),
    }
}

fn fetch_items(request: Stanza, fetch: Fetch, cx: &mut Context<'_, Service>) {
    let sources = fetch.sources();
    let rows = keys(&sources);
    cx.read(
        move |store, fence| get_all(store, fence, rows),
        move |_, cx, rows| match rows {
            Ok(rows) => {
                let answer: Element = fetch.answer(&payloads(&sources, rows));
                cx.send(request.result(Some(&answer)));
            }
            Err(error) => cx.send_error(&request, store_error(&error)),
        },
    );
}

/// The last item for a new subscriber (XEP-0060 §6.1.7).
fn greet(service: &Service, name: String, to: Jid, cx: &mut Context<'_, Service>) {
    let head = service.collection.get(&name).and_then(|node| node.items.last());
    let Some(head) = head else { return };
    let (number, sources) = (head.number, [service.collection.source(&name, head)]);
    let rows = keys(&sources);
    cx.read(
        move |store, fence| get_all(store, fence, rows),
        move |service, cx, rows| {
            let payload = rows.ok().and_then(|rows| payloads(&sources, rows).pop().flatten());
            let Some((payload, node)) = payload.zip(service.collection.get(&name)) else { return };
            // What was replaced meanwhile is not the last item any more.
            let Some(head) = node.items.iter().find(|head| head.number == number) else { return };
            let id = format!("{:016x}", cx.random_u64());
            let what = (name.as_str(), node, head);
            cx.send(notice::last_item(&service.collection, what, &payload, id).with_to(to));
        },
    );
}
