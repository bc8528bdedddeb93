/** What a scan codes (T.81, table B.2). The programs and their hosts use the same numbers. */
export const SEQUENTIAL: u32 = 0;
export const DC_FIRST: u32 = 1;
export const AC_FIRST: u32 = 2;
export const DC_REFINE: u32 = 3;
export const AC_REFINE: u32 = 4;
