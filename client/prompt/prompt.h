/*
 * prompt.h - one line from a person.
 *
 * Lines are edited and remembered where there is libedit; see
 * client/prompt/editor.h.  Without it there is a prompt all the same.
 */
#ifndef AIS_PROMPT_H
#define AIS_PROMPT_H

struct complete;
struct outcome;
struct prompt;
struct request;

/*
 * Make ready to read lines from the terminal that is standard input.  The
 * prompt is shown on standard error, so that standard output stays clean.
 * "r" is kept alive meanwhile, and Tab is answered by "complete".  NULL after
 * a message.
 */
struct prompt *prompt_open(struct request *r, struct complete *complete);
void prompt_close(struct prompt *p);

/*
 * Show "text", in which foreign bytes must be escaped, and read a line.
 * 1: "*line" is the line without its newline, valid until the next call.
 * 0: the input has ended, or "o" is the signal that ends it.  -1: there is no
 * line, and "o" says why; Ctrl-C is an "o" of class OUTCOME_INTERRUPTED.
 */
int prompt_read(struct prompt *p, const char *text, const char **line,
    struct outcome *o);

#endif
