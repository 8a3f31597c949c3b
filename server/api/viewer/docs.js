// Shows the document that the address names after "#", the first one where it names none.
"use strict";
const links = [...document.querySelectorAll("nav a")];

function show() {
  const wanted = links.find((link) => link.hash === location.hash) || links[0];
  for (const link of links) {
    if (link === wanted) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  SwaggerUIBundle({
    url: wanted.dataset.document,
    dom_id: "#api",
    presets: [SwaggerUIBundle.presets.apis],
    validatorUrl: null,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    persistAuthorization: false,
  });
}

addEventListener("hashchange", show);
show();
