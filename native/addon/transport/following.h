// A thread that goes where a program's thread is. While more threads are at work than there are processors, one of ours and the
// program's that it works for had better have one processor together, as one of them always waits for the other: they give way
// to each other there, and nobody else. The kernel sees threads that are all busy, and leaves them where they are for as long as
// each processor has some.
#pragma once

namespace transport {

class Following {
 public:
  // The program's thread was on this processor when it asked: as it says, so the number may be any.
  void sawAt(unsigned processor);

 private:
  unsigned elsewhere_ = 0;  // so often in a row
};

}  // namespace transport
