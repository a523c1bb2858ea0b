/** The icons: strokes of one width on a grid of 24, drawn here. Decorative; what they stand for is said in words. */

const PATHS = {
  flow: "M3 6c6 0 6 6 9 6s3 6 9 6M3 12h5M3 18c4 0 5-3 7-5",
  home: "M4 11l8-7 8 7v8.500h-5.500v-5.500h-5v5.500H4z",
  graph: "M4 5h6v5H4zM14 14h6v5h-6zM10 7.500h4a3 3 0 0 1 3 3V14",
  terminal: "M4 6l6 6-6 6M12 18h8",
  layers: "M12 3l9 5-9 5-9-5zM3 12.500l9 5 9-5M3 17l9 5 9-5",
  link: "M9.500 14.500l5-5M8 11l-2.500 2.500a3.500 3.500 0 0 0 5 5L13 16M16 13l2.500-2.500a3.500 3.500 0 0 0-5-5L11 8",
  pulse: "M3 12h4l3-7 4 14 3-7h4",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.400 1.400M17.600 17.600L19 19M5 19l1.400-1.400M17.600 6.400L19 5",
  moon: "M20 14.500A8.500 8.500 0 0 1 9.500 4a8.500 8.500 0 1 0 10.500 10.500z",
  screen: "M3 5h18v12H3zM9 21h6M12 17v4",
  key: "M12.500 15.500a4.500 4.500 0 1 1-9 0 4.500 4.500 0 0 1 9 0zM11.200 12.300L20 3.500M16.500 7l3 3",
  close: "M6 6l12 12M18 6L6 18",
  search: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM15.500 15.500L21 21",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  up: "M12 19V5M6 11l6-6 6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  warning: "M12 4l9.500 16h-19zM12 10v5M12 17.600v.100",
  empty: "M4 13l3-8h10l3 8v6H4zM4 13h5l1.500 3h3L15 13h5",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 9a.500.500 0 1 0 .010 0z",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg aria-hidden="true" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth={1.7} strokeLinecap="round" strokeLinejoin="round">
      <path d={PATHS[name]} />
    </svg>
  );
}
