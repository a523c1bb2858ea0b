/** A modal dialog: the browser's own, so that focus stays inside, Escape closes and focus goes back. */
import { type ReactNode, useEffect, useId, useRef } from "react";
import { Icon } from "./icon";

export function Dialog({ title, isWide = false, onClose, children }: { title: string; isWide?: boolean; onClose: () => void; children: ReactNode }) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      // The browser gives focus back only to elements that were not drawn anew meanwhile.
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      className={isWide ? "dialog is-wide" : "dialog"}
      aria-labelledby={heading}
      onCancel={(event) => { event.preventDefault(); onClose(); }}
      onClick={(event) => event.target === element.current && onClose()}
    >
      <header>
        <h2 id={heading}>{title}</h2>
        <button type="button" className="button is-quiet is-icon" aria-label="Close" onClick={onClose}><Icon name="close" /></button>
      </header>
      <div className="body">{children}</div>
    </dialog>
  );
}
