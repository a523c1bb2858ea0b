// Sets a chosen theme before the first paint; a module script would run after it.
try {
  const theme = localStorage.getItem("headwater.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the system's theme is taken.
}
