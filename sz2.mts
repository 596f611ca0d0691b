import {sizes} from '/tmp/core/test/sizes.ts'; console.log((await sizes()).map(s=>s.names+' '+s.from+' '+s.bytes).join('\n'))
