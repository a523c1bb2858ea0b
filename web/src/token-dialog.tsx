/** Asks for the token that a guarded server demands. It stays in this tab and is sent to this server only. */
import { type FormEvent, useEffect, useState } from "react";
import { setToken, useToken } from "./api/session";
import { Dialog } from "./design/parts/dialog";
import { Icon } from "./design/parts/icon";

const OPEN = "headwater:token";

/** Opens the dialog from wherever a refusal is shown. */
export function openTokenDialog(): void {
  window.dispatchEvent(new Event(OPEN));
}

/** The button in the header, and the dialog. */
export function TokenButton() {
  const token = useToken();
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    const open = () => setOpen(true);
    window.addEventListener(OPEN, open);
    return () => window.removeEventListener(OPEN, open);
  }, []);
  const close = () => setOpen(false);
  return (
    <>
      <button type="button" className="button is-quiet is-icon token-button" aria-label={token ? "Token is set; change it" : "Set a token"} title="Access token" onClick={() => setOpen(true)}>
        <Icon name="key" />
        {token && <span className="token-mark" />}
      </button>
      {isOpen && <TokenDialog token={token} onClose={close} />}
    </>
  );
}

function TokenDialog({ token, onClose }: { token: string | null; onClose: () => void }) {
  const [text, setText] = useState("");
  const take = (event: FormEvent) => {
    event.preventDefault();
    setToken(text.trim());
    onClose();
  };
  return (
    <Dialog title="Access token" onClose={onClose}>
      <form onSubmit={take} className="token-form">
        <p className="soft">
          A server that others can reach demands one. <code>headwater token create</code> makes it. It is kept in this tab
          until you close it.
        </p>
        <label className="field">
          <span>Token</span>
          <input className="input mono" type="password" autoComplete="off" spellCheck={false} placeholder="hw_…" value={text} onChange={(event) => setText(event.target.value)} autoFocus />
        </label>
        <footer>
          {token && <button type="button" className="button" onClick={() => { setToken(null); onClose(); }}>Forget the present one</button>}
          <button type="submit" className="button is-main" disabled={text.trim() === ""}>Use it</button>
        </footer>
      </form>
    </Dialog>
  );
}
