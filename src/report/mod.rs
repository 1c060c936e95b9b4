//! Consumes engine events: terminal, plain lines, JSON lines, HTML.
