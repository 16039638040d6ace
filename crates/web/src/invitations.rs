//! Owns invitations over HTTP: the page that somebody who was invited sees in a browser (XEP-0379 §3.3,
//! XEP-0401 §5.2), and for operators their making, listing and removing.

use accounts::Invitation;
use accounts::invitation::{InvitationRow, InviteError};
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use xmpp::BareJid;

use crate::administration::Problem;
use crate::serve::Shared;

/// A new invitation; what is absent is as the configuration has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// The domain that it is for; left out: the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The name that the new account must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// An account that becomes a contact of whoever uses it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// How often it can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
    /// Days for which it can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

/// An invitation that was made.
#[derive(Debug, Serialize, Deserialize)]
pub struct MadeInvitation {
    /// What a client opens.
    pub uri: String,
    /// What a browser opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// Until when, in seconds since 1970-01-01 UTC.
    pub expires: u64,
}

/// For operators.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/v1/invitations", web::get().to(list))
        .route("/api/v1/invitations", web::post().to(make))
        .route("/api/v1/invitations/{domain}/{id}", web::delete().to(remove));
}

/// For whoever is invited.
pub(crate) fn pages(config: &mut web::ServiceConfig) {
    config.route("/invite/{token}", web::get().to(page)).route(STYLE_PATH, web::get().to(style));
}

const STYLE_PATH: &str = "/invite.css";
const STYLE: &str = "body{font:1.1rem/1.5 sans-serif;max-width:36rem;margin:3rem auto;padding:0 1rem;\
color:#222;background:#fff}a.open{display:inline-block;padding:.7rem 1.2rem;border-radius:.4rem;\
background:#124a7c;color:#fff;text-decoration:none;font-weight:bold}code{overflow-wrap:anywhere}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}a{color:#8ab8e6}}\n";

/// Clients that make an account by an invitation, and where they are.
const CLIENTS: [(&str, &str, &str); 5] = [
    ("Conversations", "https://conversations.im/", "Android"),
    ("Cheogram", "https://cheogram.com/", "Android"),
    ("Siskin", "https://siskin.im/", "iOS"),
    ("Beagle", "https://beagle.im/", "macOS"),
    ("Gajim", "https://gajim.org/", "Linux, Windows"),
];

async fn list(shared: web::Data<Shared>) -> HttpResponse {
    let accounts = &shared.services.administration.accounts;
    let mut rows: Vec<InvitationRow> = Vec::new();
    for domain in accounts.hosts.domains() {
        match accounts.invitations(domain).await {
            Ok(found) => rows.extend(found),
            Err(error) => return problem(&error),
        }
    }
    HttpResponse::Ok().json(rows)
}

async fn make(shared: web::Data<Shared>, new: web::Json<NewInvitation>) -> HttpResponse {
    let administration = &shared.services.administration;
    match wanted(&shared, &new).await {
        Ok(invitation) => match administration.invite(&invitation).await {
            Ok(made) => HttpResponse::Ok().json(MadeInvitation {
                uri: made.uri,
                page: made.page,
                expires: made.expires,
            }),
            Err(error) => problem(&error),
        },
        Err(error) => HttpResponse::UnprocessableEntity().json(Problem { error }),
    }
}

/// What is asked for, or what is wrong with it, in one line.
async fn wanted(shared: &Shared, new: &NewInvitation) -> Result<Invitation, String> {
    let administration = &shared.services.administration;
    let accounts = &administration.accounts;
    let first = || accounts.hosts.domains().first().map(ToString::to_string).unwrap_or_default();
    let domain = new.domain.clone().unwrap_or_else(first);
    let domain = accounts.domain(&domain).map_err(|error| error.to_string())?;
    let mut invitation = administration.invitation(&domain, None);
    if !invitation.registers {
        return Err(format!(
            "nobody may register at {domain}: set registration = \"invite\" for it in the configuration"
        ));
    }
    if let Some(name) = &new.name {
        let name = administration.policy.name(name);
        invitation.name = Some(name.map_err(|error| error.text.unwrap_or_default())?);
    }
    if let Some(contact) = &new.contact {
        let contact = accounts.address(contact).map_err(|error| error.to_string())?;
        accounts.is_enabled(&contact).await.map_err(|error| error.to_string())?;
        (invitation.inviter, invitation.befriends) = (Some(contact.to_string()), true);
    }
    invitation.uses = new.uses.unwrap_or(1);
    if !(1..=accounts::invitation::USES_MOST).contains(&invitation.uses) {
        return Err(format!("uses must be between 1 and {}", accounts::invitation::USES_MOST));
    }
    if let Some(days) = new.days {
        if !(1..=3_650).contains(&days) {
            return Err("days must be between 1 and 3650".to_owned());
        }
        invitation.expires = invitation.created + u64::from(days) * 86_400;
    }
    if invitation.name.is_some() && invitation.uses != 1 {
        return Err("an invitation for one name can be used once".to_owned());
    }
    Ok(invitation)
}

async fn remove(shared: web::Data<Shared>, path: web::Path<(String, String)>) -> HttpResponse {
    let accounts = &shared.services.administration.accounts;
    let (domain, id) = path.into_inner();
    let done = async {
        let domain = accounts.domain(&domain)?;
        accounts.revoke(&domain, &id).await
    };
    match done.await {
        Ok(_) => {
            tracing::info!("an invitation to {domain} was removed");
            HttpResponse::NoContent().finish()
        }
        Err(error) => problem(&error),
    }
}

fn problem(error: &InviteError) -> HttpResponse {
    let mut response = match error {
        InviteError::Missing(_) => HttpResponse::NotFound(),
        InviteError::Taken(_) | InviteError::TooMany(_) => HttpResponse::Conflict(),
        InviteError::Account(accounts::AccountError::Domain(..)) => {
            HttpResponse::UnprocessableEntity()
        }
        _ => HttpResponse::ServiceUnavailable(),
    };
    response.json(Problem { error: error.to_string() })
}

async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=86400"))
        .body(STYLE)
}

async fn page(shared: web::Data<Shared>, token: web::Path<String>) -> HttpResponse {
    let accounts = &shared.services.administration.accounts;
    for domain in accounts.hosts.domains() {
        match accounts.invitation(domain, &token).await {
            Ok(Some(invitation)) => return html(HttpResponse::Ok(), invited(&invitation, &token)),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "an invitation could not be looked up");
                return html(HttpResponse::ServiceUnavailable(), sorry("Please try again later."));
            }
        }
    }
    let gone = "This invitation is unknown, was used, or has expired. Ask for a new one.";
    html(HttpResponse::NotFound(), sorry(gone))
}

/// No script, nothing from elsewhere, nothing kept; and whoever follows a link does not tell where it stood, since the
/// address of this page is a secret.
fn html(mut response: actix_web::HttpResponseBuilder, body: String) -> HttpResponse {
    let policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                  frame-ancestors 'none'";
    response
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("X-Robots-Tag", "noindex, nofollow"))
        .body(body)
}

fn invited(invitation: &Invitation, token: &str) -> String {
    let domain = escaped(&invitation.domain);
    let inviter = invitation.inviter.as_deref().and_then(|jid| BareJid::parse(jid).ok());
    let who = inviter.as_ref().map(|jid| escaped(jid.as_str()));
    let title = match (&who, invitation.account) {
        (Some(who), false) => format!("{who} invites you to chat"),
        _ => format!("You are invited to {domain}"),
    };
    let what = match (invitation.registers, &invitation.name) {
        (true, Some(name)) => {
            format!(
                "<p>An account with the name <b>{}@{domain}</b> waits for you.</p>",
                escaped(name)
            )
        }
        (true, None) => format!("<p>You can make an account at <b>{domain}</b>.</p>"),
        (false, _) => String::new(),
    };
    let uri = escaped(&invitation.uri(token));
    let clients: String = CLIENTS
        .iter()
        .map(|(name, link, system)| format!("<li><a href=\"{link}\">{name}</a> ({system})</li>"))
        .collect();
    let content = format!(
        "<h1>{title}</h1>{what}<p><a class=\"open\" href=\"{uri}\">Open the invitation</a></p>\
         <p>If nothing happens, you need a client for XMPP first. Install one of these, and come back:</p>\
         <ul>{clients}</ul>\
         <p>There are <a href=\"https://xmpp.org/software/\">more of them</a>. XMPP belongs to nobody: \
         you choose your client and your server, and can talk to everybody.</p>\
         <p>Where a client asks for the invitation: <code>{uri}</code></p>"
    );
    document(&title, &content)
}

fn sorry(text: &str) -> String {
    document("Invitation", &format!("<h1>Invitation</h1><p>{text}</p>"))
}

fn document(title: &str, content: &str) -> String {
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <link rel=\"stylesheet\" href=\"{STYLE_PATH}\"></head><body>{content}</body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            letter => letter.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation() -> Invitation {
        Invitation {
            domain: "capulet.example".to_owned(),
            inviter: Some("romeo@capulet.example".to_owned()),
            account: false,
            name: None,
            befriends: true,
            registers: true,
            uses: 1,
            created: 0,
            expires: 1,
        }
    }

    #[test]
    fn what_others_have_named_is_escaped_on_a_page() {
        assert_eq!(escaped("<a&'\">"), "&lt;a&amp;&#39;&quot;&gt;");
        let page = invited(&invitation(), "t");
        assert!(page.contains("<h1>romeo@capulet.example invites you to chat</h1>"), "{page}");
        assert!(page.contains("href=\"xmpp:romeo@capulet.example?roster;preauth=t;ibr=y\""));
    }
}
