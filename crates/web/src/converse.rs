//! Owns the web client, where the operator has a distribution of Converse.js: its files, and the page that starts it.

use std::path::PathBuf;

use actix_files::Files;
use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::clients::Clients;

/// Where its files are found.
const FILES: &str = "/converse";

/// Where the script is found that starts it; a page of ours has no script in it.
const STARTER: &str = "/start-converse.js";

/// It compiles WebAssembly (OMEMO), styles by attribute, and shows pictures and sounds from wherever people put them.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' https: data: blob:; media-src 'self' https: data: blob:; font-src 'self' data:; \
                      connect-src 'self' https: wss: ws: data: blob:; worker-src 'self' blob:; object-src 'none'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The paths of the client; none where there is no distribution.
pub(crate) fn routes(config: &mut web::ServiceConfig, files: Option<&PathBuf>) {
    if let Some(files) = files {
        config.route(STARTER, web::get().to(starter)).service(Files::new(FILES, files));
    }
}

async fn starter() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(include_str!("converse/start.js"))
}

/// The page that is the client, for people of this domain.
pub(crate) fn page(clients: &Clients, domain: &str) -> HttpResponse {
    let registers = if clients.open.iter().any(|open| open == domain) { "yes" } else { "no" };
    let domain = crate::links::escape(domain);
    let page = format!(
        "<!DOCTYPE html><html lang='en' data-domain='{domain}' data-registers='{registers}'><head>\
         <meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>\
         <title>{domain}</title><link rel='stylesheet' href='{FILES}/converse.min.css'>\
         <script type='module' src='{STARTER}'></script></head>\
         <body class='converse-fullscreen'><noscript>This page needs JavaScript.</noscript>\
         <div id='conversejs-bg'></div></body></html>\n"
    );
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body(page)
}
