/** A link from `pgswarm page` has the token behind its #, which no server and no log ever sees. */
'use strict';
function useLink() {
  const given = /^#token=(\w+)$/.exec(location.hash);
  if (given === null) {
    void goInIfKnown();
    return;
  }
  history.replaceState(null, '', '/');
  const field = /** @type {HTMLInputElement} */ (document.getElementById('token'));
  field.value = given[1] ?? '';
  field.form?.requestSubmit();
}
/** Who comes by a link on another site is not known until asked from here: the cookie is that strict. */
async function goInIfKnown() {
  if (location.search !== '') return;
  const { ok } = await fetch('/', { method: 'HEAD' });
  if (ok) location.replace('/?known');
}
addEventListener('hashchange', useLink);
useLink();
