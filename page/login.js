/** A link from `pgswarm page` has the token behind its #, which no server and no log ever sees. */
'use strict';
function useLink() {
  const given = /^#token=(\w+)$/.exec(location.hash);
  if (given === null) return;
  history.replaceState(null, '', '/');
  const field = /** @type {HTMLInputElement} */ (document.getElementById('token'));
  field.value = given[1] ?? '';
  field.form?.requestSubmit();
}
addEventListener('hashchange', useLink);
useLink();
