/** Before anything is drawn: the theme that was chosen here; without one, the system's. */
'use strict';
{
  const chosen = localStorage.getItem('theme');
  if (chosen !== null) document.documentElement.dataset['theme'] = chosen;
}
