import '../style.css';
import './inbox.css';
import { render } from 'preact';
import { Inbox } from './Inbox.tsx';
import { start } from './mails.ts';

start();
render(<Inbox />, document.getElementById('app')!);
