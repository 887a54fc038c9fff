import { Knows } from './knows/Knows.tsx';
import { Shop } from './shop/Shop.tsx';
import { connected, problem, shopper } from './state.ts';
import { Line, Top } from './Top.tsx';

const others = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank'];

export function App() {
  const other = others[(others.indexOf(shopper) + 1) % others.length]!;
  return (
    <>
      <a class="skip" href="#knows-title">
        Skip to what Usher knows
      </a>
      <Top
        who={
          <>
            <span class="avatar" aria-hidden="true">
              {shopper[0]!.toUpperCase()}
            </span>
            <span>
              Shopping as <strong>{shopper}</strong>
            </span>
            <Line connected={connected.value} />
          </>
        }
      >
        <a href="/inbox">Inbox</a>
        <a href="/graphql">GraphiQL</a>
        <a href="/metrics">Metrics</a>
        <button
          type="button"
          onClick={() => window.open(`${location.pathname}?as=${other}`, '_blank', 'width=1280,height=860')}
        >
          Open another shopper
        </button>
      </Top>
      {problem.value !== null && (
        <div class="problem" role="alert">
          {problem.value}
          <button type="button" class="plain" aria-label="Dismiss" onClick={() => (problem.value = null)}>
            ×
          </button>
        </div>
      )}
      <main class="halves">
        <Shop />
        <Knows />
      </main>
    </>
  );
}
