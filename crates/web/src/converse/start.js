// Starts Converse.js at the server that this page comes from.
import converse from "/converse/converse.min.js";

const { domain, registers } = document.documentElement.dataset;
converse.initialize({
    allow_registration: registers === "yes",
    assets_path: "/converse/",
    bosh_service_url: `${location.origin}/http-bind`,
    default_domain: domain,
    discover_connection_methods: false,
    view_mode: "fullscreen",
    websocket_url: `${location.origin.replace(/^http/, "ws")}/xmpp-websocket`,
});
