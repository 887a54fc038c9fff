import './style.css';
import './shop/shop.css';
import './knows/knows.css';
import { render } from 'preact';
import { App } from './App.tsx';
import { start } from './state.ts';

start();
render(<App />, document.getElementById('app')!);
