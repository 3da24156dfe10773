class FrameVideo: pass
