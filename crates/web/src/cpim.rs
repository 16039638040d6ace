//! Owns mapping between XMPP and CPIM over HTTP (RFC 3922), for whoever runs a gateway: what is asked, and the answers.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use xmpp::Element;
use xmpp::element::Node;

use crate::administration::Problem;

/// What an object becomes.
#[derive(Debug, Serialize)]
struct Stanzas {
    /// XML of the content namespace, one for each recipient and device.
    stanzas: Vec<String>,
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/v1/cpim/from-xmpp", web::post().to(from_xmpp))
        .route("/api/v1/cpim/to-xmpp", web::post().to(to_xmpp));
}

/// A message, or the presence of devices of one account, as a `message/cpim` object.
async fn from_xmpp(stanzas: web::Bytes) -> HttpResponse {
    let Some(stanzas) = read(&stanzas) else {
        return problem("these are no stanzas".to_owned());
    };
    match cpim::to_cpim(&stanzas) {
        Ok(object) => HttpResponse::Ok().content_type("message/cpim").body(object),
        Err(error) => problem(error.to_string()),
    }
}

/// A `message/cpim` object as stanzas.
async fn to_xmpp(object: web::Bytes) -> HttpResponse {
    let text = |stanza: &Element| String::from_utf8_lossy(&stanza.to_bytes()).into_owned();
    match cpim::to_xmpp(&object) {
        Ok(stanzas) => {
            HttpResponse::Ok().json(Stanzas { stanzas: stanzas.iter().map(text).collect() })
        }
        Err(error) => problem(error.to_string()),
    }
}

/// Elements, with nothing but white space between them.
fn read(bytes: &[u8]) -> Option<Vec<Element>> {
    let nodes = Element::parse_all(bytes).ok()?.into_iter();
    let nodes = nodes.filter(|node| !matches!(node, Node::Text(text) if text.trim().is_empty()));
    let element = |node| match node {
        Node::Element(element) => Some(element),
        Node::Text(_) => None,
    };
    nodes.map(element).collect()
}

fn problem(error: String) -> HttpResponse {
    HttpResponse::UnprocessableEntity().json(Problem { error })
}
