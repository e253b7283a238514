//! Settings of the system's memory allocator for a process that trains.

/// Makes the C allocator keep large buffers instead of returning them to the kernel.
///
/// A training step allocates and frees the same activations (megabytes each) again and again. By
/// default glibc maps and unmaps each of them, and the page faults cost more than some of the
/// operations. Call this once, at process start, before other threads run. On a system without glibc
/// it does nothing and returns `false`.
pub fn tune_allocator() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // 32 MiB is the largest threshold glibc accepts: blocks below it come from the heap.
        const MMAP_THRESHOLD: libc::c_int = 32 << 20;
        const TOP_PAD: libc::c_int = 256 << 20;
        // Never give the top of the heap back.
        const TRIM_THRESHOLD: libc::c_int = -1;
        // SAFETY: mallopt only stores tuning parameters and takes the allocator's own lock.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD) == 1
                && libc::mallopt(libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD) == 1
                && libc::mallopt(libc::M_TOP_PAD, TOP_PAD) == 1
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

/// Gives the pages of freed blocks back to the system, such as those of files that were read: what comes later seldom fits
/// into all of them. Call it once, before the first step. On a system without glibc it does nothing and returns `false`.
pub fn release_freed_memory() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: malloc_trim takes the allocator's own lock and touches free blocks only.
        unsafe { libc::malloc_trim(0) == 1 }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn freed_memory_goes_back() {
        let blocks: Vec<Vec<u8>> = (0..64).map(|i| vec![i; 1 << 16]).collect();
        let kept: Vec<Vec<u8>> = blocks.into_iter().step_by(2).collect();
        assert!(super::release_freed_memory());
        assert!((0..32).all(|i| kept[i][i] == 2 * i as u8));
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn glibc_accepts_the_settings() {
        assert!(super::tune_allocator());
    }
}
