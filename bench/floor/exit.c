/* The exec floor: what starting and ending any static program costs here. */
int main(void) { return 0; }
