mod collector;
mod correlate;
mod latency;
mod series;
mod support;
mod timeline;
mod top;
